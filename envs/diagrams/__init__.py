"""Diagrams: exact scenes, drawn to scale with labels that collide with nothing, and questions about them."""

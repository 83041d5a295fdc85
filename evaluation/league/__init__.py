"""Policies against each other: matches at home and away, and the ratings that follow from them."""

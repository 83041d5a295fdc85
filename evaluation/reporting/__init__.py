"""What people read: reports, tables, plots and films."""

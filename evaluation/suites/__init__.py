"""What is evaluated on: data sets, games and the tables that their figures go into."""

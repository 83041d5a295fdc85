"""Which episodes an iteration learns from: groups that share a start, chosen, played, dropped and played again."""

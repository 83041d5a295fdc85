"""What starts the processes of a run: the run itself on its own machine, or Ray on one machine or many."""

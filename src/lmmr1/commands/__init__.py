"""The commands: each file holds the arguments of one command (`add_parser`) and what it does (`run`)."""

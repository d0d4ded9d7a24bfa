"""What reports and editors show of builds: states, versions, places, compile commands."""

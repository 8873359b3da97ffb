"""What a district should build: a linear model of one year, its solution, and what it means."""

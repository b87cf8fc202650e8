"""The candidate sources: popularity, habit, transitions, neighbours, factors, attributes."""

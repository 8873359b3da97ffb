"""A month of trade between the two districts of the demo, and three demand-response events."""

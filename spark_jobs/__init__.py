"""The streaming jobs, in the order of the data: bronze, silver, features, alerts; and what checks them."""

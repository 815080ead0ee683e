"""What a staging report says: its patients, its models, its verdict."""

"""What runs inside the sandbox, beside a submission. It imports nothing of teachlib but itself, and holds no secret."""

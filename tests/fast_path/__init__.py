"""The fast path beside Tornado: what it takes, what it answers, and what it hands over."""

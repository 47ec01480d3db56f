"""What was served, to whom: fingerprints of answers in a ledger, and attribution by them."""

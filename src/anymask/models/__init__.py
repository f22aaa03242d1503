"""Networks only: tensors in, tensors out; and where their weights come from."""

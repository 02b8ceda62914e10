"""Who may do what: policy documents (AWS IAM JSON policy language), conditions, and the decision as a pure function."""

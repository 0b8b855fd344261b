"""Files of data and weights, whoever made them: checked before they are read."""

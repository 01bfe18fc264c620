"""How fast this machine colors: ratios measured in one run, over floors that any colorizer has."""

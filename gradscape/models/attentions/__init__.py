"""The attention modules that the papers compare theirs with, one file a paper."""

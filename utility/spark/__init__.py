"""Work that Apache Spark shares out among the cores of one machine or of many."""

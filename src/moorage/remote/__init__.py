"""Everything outbound: servers of others, asked with care."""

"""Amazon Selling Partner API: orders and order items per seller tenant."""

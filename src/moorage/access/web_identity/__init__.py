"""Tokens of identity providers (OpenID Connect): who somebody is, in the word of a server of others."""

-- provider: what is registered about it
SELECT arn, audiences, jwks FROM identity_providers WHERE arn = :arn

"""The only floor that imports cryptography, argon2, jwt, hmac and secrets. Its import loads none of them."""

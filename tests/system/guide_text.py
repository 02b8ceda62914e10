"""The first guide's files and commands, as they stand in it."""

VAULT_CERTIFICATE = """
openssl ecparam -genkey -name prime256v1 | openssl ec -out vault-tls.key
openssl req -new -x509 -days 365 -key vault-tls.key -out vault-tls.crt -subj "/C=/ST=/L=/O=/CN=localhost" \
 -addext "subjectAltName = IP:127.0.0.1"
"""
KES_CERTIFICATE = """
openssl ecparam -genkey -name prime256v1 | openssl ec -out kes-tls.key
openssl req -new -x509 -days 365 -key kes-tls.key -out kes-tls.crt -subj "/C=/ST=/L=/O=/CN=localhost" \
 -addext "subjectAltName = IP:127.0.0.1"
"""
VAULT_CONFIG = """
cat > vault-config.json <<EOF
{
  "api_addr": "https://127.0.0.1:8200",
  "backend": { "file": { "path": "vault/file" } },
  "default_lease_ttl": "168h",
  "max_lease_ttl": "720h",
  "listener": { "tcp": { "address": "0.0.0.0:8200", "tls_cert_file": "vault-tls.crt", \
"tls_key_file": "vault-tls.key", "tls_min_version": "tls12" } }
}
EOF
"""
VAULT_SET_UP = """
vault secrets enable kv
vault auth enable approle
cat > minio-kes-policy.hcl <<EOF
path "kv/minio/*" {
  capabilities = [ "create", "read", "delete" ]
}

EOF
vault policy write minio-key-policy ./minio-kes-policy.hcl
vault write auth/approle/role/kes-role token_num_uses=0  secret_id_num_uses=0  period=5m
vault write auth/approle/role/kes-role policies=minio-key-policy
"""
VAULT_IDS = """
vault read auth/approle/role/kes-role/role-id
vault write -f auth/approle/role/kes-role/secret-id
"""
KES_CONFIG = """
cat > kes-config.yaml <<EOF
# The TCP address (ip:port) for the KES server to listen on.
address: 0.0.0.0:7373

tls:
  key:  kes-tls.key
  cert: kes-tls.crt

policy:
  minio:
    paths:
    - /v1/key/create/minio-*
    - /v1/key/generate/minio-*
    - /v1/key/decrypt/minio-*
    identities:
    - {identity}

cache:
  expiry:
    any:    5m0s\x20
    unused: 20s\x20

keys:
  vault:
    endpoint: https://127.0.0.1:8200  # The Vault endpoint - i.e. https://127.0.0.1:8200
    prefix:   minio                   # The domain resp. prefix at Vault's K/V backend\x20

    approle:
      id:     "{role}"
      secret: "{secret}"
      retry:  15s   # Duration until the server tries to re-authenticate after connection loss.

    tls:
      ca: vault-tls.crt  # Since we use self-signed certificates

    status:
      ping: 10s
EOF
"""

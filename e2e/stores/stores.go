// Package stores pins the object stores that tests run against: versitygw, an S3 server, is a tool of
// this module; Azurite, a server of Azure Blob Storage, is in package.json. See e2e/recipes/stores.sh.
package stores

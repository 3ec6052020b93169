module cmek-pkcs11/examples/library

go 1.21

require cmek.internal/cmek v0.1.0

// Where it is not fetched from a proxy.
replace cmek.internal/cmek => ../../../bindings/go

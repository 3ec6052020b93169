module cmek-pkcs11/tests/consumers/miekg

go 1.19

require github.com/miekg/pkcs11 v1.1.2

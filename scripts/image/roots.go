package main

import (
	"bytes"
	"encoding/pem"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// rootsModule is where the certificate authorities come from: go.mod pins it as it pins all else.
const rootsModule = "golang.org/x/crypto/x509roots/fallback"

// roots are Mozilla's certificate authorities in PEM. It is a file of the image rather than a part of the binary: the binary reads it when
// it first calls somebody and not at start, and who needs other authorities mounts a file over it. An authority that is trusted only with
// constraints is left out, because a file cannot say them.
func roots() []byte {
	var text bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a buffer takes everything
		}
	}
	return text.Bytes()
}

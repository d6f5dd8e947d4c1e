// Package infra holds what an installation needs besides code, for programs that read it.
package infra

import _ "embed"

//go:embed firestore.indexes.json
var firestoreIndexes []byte

// FirestoreIndexes is the index configuration of the database, in the format of the Firebase command line.
func FirestoreIndexes() []byte { return firestoreIndexes }

// Package infra holds what an installation needs besides code, for programs that read it.
package infra

import _ "embed"

//go:embed firestore.indexes.json
var firestoreIndexes []byte

//go:embed functions.json
var functions []byte

// Functions is the table of functions: their paths and, of those that the queue calls, the topics.
func Functions() []byte { return functions }

// FirestoreIndexes is the index configuration of the database, in the format of the Firebase command line.
func FirestoreIndexes() []byte { return firestoreIndexes }

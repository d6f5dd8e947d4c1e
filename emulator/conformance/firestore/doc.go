// Package firestore is the suite of what emulator/firestore promises, told through the official Go client. It runs against a server of
// its own, in memory, unless FIRESTORE_EMULATOR_HOST names another; the project is then FIRESTORE_PROJECT, or conformance.
package firestore

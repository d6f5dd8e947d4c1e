// Package documents is the suite of what the documents say: it runs the commands of every Markdown file in this repository, and holds what
// these show and where they lead against what there is.
//
// A block of commands is marked sh. Each is run in a shell, in the order of the document, with an installation of the document's own. What
// is not run for real is in the table standIns, with the reason, and looked at by other means; a command that no table knows is a failure.
// A block marked "text output" is what the block before it prints, with … for what differs each time, and "text output of listen" what the
// server with that word in its command has printed by then, or soon does; one marked "json POST /path" is sent
// to the API; one marked "go file.go" (or any other language) is found in that file as it stands.
package documents

package firestore

import (
	"encoding/binary"
	"fmt"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
)

// The layout. Every key begins with the service's byte and one that says what it is; numbers are big-endian.
//
//	fm<name>                                    what the server knows of itself: next numbers, index definitions
//	fb<database>                                -> number of the database
//	fc<database><path>                          -> number of the collection, by its path: collections under a document
//	fg<database><collection id><parent path>    -> the same, by its identifier: collection groups
//	fn<collection>                              -> database and path of that number
//	fd<collection><id>                          -> a document: created, updated, fields
//	fi<collection><field><mode><value><id>      -> an entry of an automatic index, within one collection
//	fx<index><collection><values…><id>          -> an entry of a composite index of scope COLLECTION
//	fx<index><database><values…><path>          -> the same of scope COLLECTION_GROUP; a single-field index of that scope has one value
//	fe<time><collection><id>                    -> a document that expires then
//	fh<time><sequence><collection><id>          -> what a document was until that commit
//
// Documents of one collection lie together in the order of their names, so listing a collection never steps over what is below it, and
// a number for the collection keeps keys short. Registry entries are written once for each collection, not for each document.
const (
	service         = 'f'
	metaKind        = 'm'
	databaseKind    = 'b'
	pathKind        = 'c'
	groupKind       = 'g'
	numberKind      = 'n'
	documentKind    = 'd'
	automaticKind   = 'i'
	compositeKind   = 'x'
	expiryKind      = 'e'
	historyKind     = 'h'
	numberBytes     = 4
	prefixBytes     = 2
	documentKeyHead = prefixBytes + numberBytes // what stands before a document's identifier in its key
)

func metaKey(name string) []byte { return append([]byte{service, metaKind}, name...) }

func databaseKey(db resource.Database) []byte {
	return append([]byte{service, databaseKind}, db...)
}

// pathKey is a prefix of the keys of all collections under path, and the key of path where that is a collection.
func pathKey(db resource.Database, path resource.Path) []byte {
	return resource.AppendPath(resource.AppendText([]byte{service, pathKind}, string(db)), path)
}

func groupKey(db resource.Database, id string, parent resource.Path) []byte {
	k := resource.AppendText([]byte{service, groupKind}, string(db))
	return resource.AppendPath(resource.AppendText(k, id), parent)
}

func numberKey(kind byte, n uint32) []byte {
	return binary.BigEndian.AppendUint32(append(make([]byte, 0, 32), service, kind), n)
}

func documentKey(collection uint32, id string) []byte {
	return resource.AppendSegment(numberKey(documentKind, collection), id)
}

// expiryKey sorts by time; a nil rest gives a bound.
func expiryKey(micros int64, rest []byte) []byte {
	k := binary.BigEndian.AppendUint64([]byte{service, expiryKind}, uint64(micros)^1<<63)
	return append(k, rest...)
}

// historyKey sorts by the time of the commit that replaced the document, then by the document.
func historyKey(micros int64, documentKey []byte) []byte {
	k := binary.BigEndian.AppendUint64([]byte{service, historyKind}, uint64(micros)^1<<63)
	if documentKey == nil {
		return k
	}
	return append(k, documentKey[prefixBytes:]...)
}

// cutTimed takes the time and the document's key out of a key made by expiryKey or historyKey.
func cutTimed(key []byte) (micros int64, document []byte, err error) {
	const head = prefixBytes + 8
	if len(key) < head+numberBytes {
		return 0, nil, fmt.Errorf("key %x is too short", key)
	}
	micros = int64(binary.BigEndian.Uint64(key[prefixBytes:head]) ^ 1<<63)
	return micros, append([]byte{service, documentKind}, key[head:]...), nil
}

// successor is the first key after all those that begin with prefix; nil if there is none.
func successor(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xFF {
			out := append([]byte(nil), prefix[:i+1]...)
			out[i]++
			return out
		}
	}
	return nil
}

// concat is a fresh slice of the parts in a row.
func concat(parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	out := make([]byte, 0, n+32)
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

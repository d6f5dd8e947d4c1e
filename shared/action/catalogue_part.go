package action

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/callout-dev/callout/shared/errs"
)

// HostName names a host whose part of the catalogue is set on its own.
type HostName string

// MaxHosts is how many hosts an instance's catalogue may have, and MaxHostName how many bytes the name of one.
const (
	MaxHosts    = 100
	MaxHostName = 100
)

// Validate wants 1 to MaxHostName letters, digits, ".", "_" and "-", beginning with a letter or a digit; else InvalidArgument.
func (h HostName) Validate() error {
	if h == "" || len(h) > MaxHostName || strings.ContainsFunc(string(h), notInHost) || strings.ContainsAny(string(h[:1]), "._-") {
		return errs.Newf(errs.InvalidArgument, `host: 1 to %d of A-Z, a-z, 0-9, ".", "_" and "-", beginning with a letter or a digit`, MaxHostName)
	}
	return nil
}

func notInHost(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
}

// HostPart is what a host adds to the catalogue.
type HostPart struct {
	Names Names
	// Described are the services of Names whose messages are in Types.
	Described []string
	// Types is a FileDescriptorSet with all that it imports and without source info; nil where the host gave none.
	Types []byte
}

// HostVersion says that a host has set its part, and which one it is.
type HostVersion struct {
	Host    HostName
	Changed time.Time
	// Version is the same where the part is the same.
	Version string
	// NameParts and TypeParts are in how many documents the names and the types are stored.
	NameParts, TypeParts int
}

// HostNames is a host's part without its message types.
type HostNames struct {
	HostVersion
	Names     Names
	Described []string
}

// nameList is one of the lists of Names.
type nameList struct {
	field string
	names *[]string
	valid func(string) bool
	want  string
}

func (n *Names) lists() []nameList {
	return []nameList{
		{"services", &n.Services, validDotted, "package.Service"},
		{"methods", &n.Methods, validMethod, "/package.Service/Method"},
		{"events", &n.Events, ValidEventType, "segments with dots between them"},
		{"functions", &n.Functions, validDotted, "segments with dots between them"},
	}
}

// Validate is InvalidArgument, with the field, for a name that could never be a condition.
func (n *Names) Validate() error {
	for _, list := range n.lists() {
		for i, name := range *list.names {
			if !list.valid(name) {
				return errs.Newf(errs.InvalidArgument, "%s[%d]: %s is malformed: want %s", list.field, i, brief(name), list.want)
			}
		}
	}
	return nil
}

// Validate checks all names and makes the part whole: names sorted and once, each method's service among the services. InvalidArgument if
// it has no name at all.
func (p *HostPart) Validate() error {
	n := &p.Names
	if err := n.Validate(); err != nil {
		return err
	}
	for _, m := range n.Methods {
		service, _, _ := strings.Cut(m[1:], "/")
		n.Services = append(n.Services, service)
	}
	for _, list := range n.lists() {
		slices.Sort(*list.names)
		*list.names = slices.Compact(*list.names)
	}
	slices.Sort(p.Described)
	p.Described = slices.Compact(p.Described)
	if len(n.Services)+len(n.Events)+len(n.Functions) == 0 {
		return errs.Newf(errs.InvalidArgument, "services, methods, events, functions, file_descriptor_set: all are empty; to remove the host, DELETE it")
	}
	return nil
}

// brief quotes the beginning of a name.
func brief(name string) string {
	const most = 100
	if len(name) > most {
		return fmt.Sprintf("%q…", strings.ToValidUTF8(name[:most], ""))
	}
	return fmt.Sprintf("%q", name)
}

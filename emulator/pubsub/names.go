package pubsub

import (
	"regexp"
	"strings"
)

// The full names of the three kinds of resource, as projects/{project}/{kind}/{id}. They are strings of their own types so that none is
// taken for another.
type (
	topicName        string
	subscriptionName string
	snapshotName     string
)

// What the API shows instead of the topic of a subscription or snapshot whose topic was deleted.
const deletedTopic = "_deleted-topic_"

// The rules of https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names.
var (
	resourceID = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9\-_.~+%]{2,254}$`)
	projectID  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9\-.:_]{0,127}$`)
)

// parseName checks that s is projects/{project}/{kind}/{id}. Field is what the error calls it.
func parseName(field, s, kind string) error {
	parts := strings.Split(s, "/")
	switch {
	case s == "":
		return invalid(field, "is required, as projects/{project}/%s/{id}", kind)
	case len(parts) != 4 || parts[0] != "projects" || parts[2] != kind:
		return invalid(field, "is %q, not of the form projects/{project}/%s/{id}", clip(s), kind)
	case !projectID.MatchString(parts[1]):
		return invalid(field, "names the project %q, which is no project id", clip(parts[1]))
	case !resourceID.MatchString(parts[3]):
		return invalid(field, "has the id %q: an id has 3 to 255 characters of A-Z a-z 0-9 - _ . ~ + %% and starts with a letter", clip(parts[3]))
	case strings.HasPrefix(parts[3], "goog"):
		return invalid(field, "has the id %q: ids that start with goog are reserved", clip(parts[3]))
	}
	return nil
}

// parseProject reads projects/{project}, which lists are asked for.
func parseProject(s string) error {
	project, ok := strings.CutPrefix(s, "projects/")
	if !ok || !projectID.MatchString(project) {
		return invalid("project", "is %q, not of the form projects/{project}", clip(s))
	}
	return nil
}

func parseTopic(field, s string) (topicName, error) {
	return topicName(s), parseName(field, s, "topics")
}

func parseSubscription(field, s string) (subscriptionName, error) {
	return subscriptionName(s), parseName(field, s, "subscriptions")
}

func parseSnapshot(field, s string) (snapshotName, error) {
	return snapshotName(s), parseName(field, s, "snapshots")
}

// project is the second part of a full name.
func project(name string) string { return strings.Split(name, "/")[1] }

// clip keeps what others sent us from filling an error or the log.
func clip(s string) string {
	const most = 300
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// last is the id at the end of a full name.
func last(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

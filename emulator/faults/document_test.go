package faults_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	firestore "cloud.google.com/go/firestore/apiv1"
	"cloud.google.com/go/firestore/apiv1/firestorepb"

	"github.com/callout-dev/callout/emulator/local"
)

const database = "projects/" + local.Project + "/databases/(default)"

// document is a delivery as it lies in the database, read without the ledger's own code.
type document struct {
	id, event, target, state, lane string
	waits                          bool
	due, created, expires          time.Time
	attempts                       int
}

func decode(doc *firestorepb.Document) document {
	f := doc.GetFields()
	at := func(name string) time.Time {
		if f[name].GetTimestampValue() == nil {
			return time.Time{}
		}
		return f[name].GetTimestampValue().AsTime()
	}
	d := document{
		id: last(doc.GetName()), event: f["event"].GetStringValue(), target: f["target"].GetStringValue(), state: f["state"].GetStringValue(),
		lane: f["lane"].GetStringValue(), waits: f["waits"].GetBooleanValue(), due: at("due"), created: at("created"), expires: at("expireAt"),
	}
	if tried := f["attempts"].GetArrayValue().GetValues(); len(tried) > 0 {
		d.attempts = int(tried[len(tried)-1].GetMapValue().GetFields()["n"].GetIntegerValue())
	}
	return d
}

func (d document) final() bool {
	return d.state == finalDelivered || d.state == finalDead || d.state == finalSkipped
}

// held says whether the delivery lies in its target's lane, and nobody has released it.
func (d document) held() bool { return strings.HasPrefix(d.lane, "t") && d.due.Equal(d.created) }

// broken says how a document breaks invariant A, "" if it does not.
func (d document) broken() string {
	switch {
	case !d.final() && d.state != "pending" && d.state != "retrying":
		return fmt.Sprintf("state %q", d.state)
	case d.final() && (d.lane != "" || !d.due.IsZero()):
		return fmt.Sprintf("%s, but in lane %q, due %v", d.state, d.lane, d.due)
	case d.final() && d.expires.IsZero():
		return d.state + ", and is kept for ever"
	case !d.final() && (d.lane == "" || d.due.IsZero()):
		return fmt.Sprintf("%s, and in lane %q, due %v", d.state, d.lane, d.due)
	}
	return ""
}

// readAll reads a whole collection of the default instance.
func readAll(ctx context.Context, client *firestore.Client, collection string, each func(*firestorepb.Document)) error {
	stream, err := client.RunQuery(ctx, &firestorepb.RunQueryRequest{
		Parent: database + "/documents/instances/default",
		QueryType: &firestorepb.RunQueryRequest_StructuredQuery{StructuredQuery: &firestorepb.StructuredQuery{
			From: []*firestorepb.StructuredQuery_CollectionSelector{{CollectionId: collection}},
		}},
	})
	if err != nil {
		return err
	}
	for {
		answer, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if answer.GetDocument() != nil {
			each(answer.GetDocument())
		}
	}
}

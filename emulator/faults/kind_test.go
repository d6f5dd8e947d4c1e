package faults_test

import (
	"slices"
	"strings"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
)

// Kinds of RPC by what they mean to Callout. Those of a commit are told by what it writes first.
const (
	acceptEvent     = "commit: event and deliveries"
	saveDelivered   = "commit: delivered"
	saveRetrying    = "commit: retrying"
	saveDead        = "commit: dead"
	saveHeld        = "commit: held"
	saveWaiting     = "commit: waiting or freed"
	saveChain       = "commit: delivery and followers"
	addValve        = "commit: valve added"
	saveValve       = "commit: valve turned"
	removeValve     = "commit: valve removed"
	stampValve      = "commit: valve stamped"
	batchHeld       = "batch write: held"
	batchClaimed    = "batch write: claimed"
	batchFinal      = "batch write: given up"
	configure       = "configuration: commit"
	markEvent       = "configuration: event marked as published"
	publishPrefix   = "publish: "
	getPrefix       = "get: "
	query           = "query"
	batchGet        = "batch get"
	count           = "count"
	everything      = "" // as a prefix: whatever is asked
	otherKind       = "other"
	publishEvents   = publishPrefix + "events"
	publishFirst    = publishPrefix + "deliveries"
	publishSlow     = publishPrefix + "deliveries-slow"
	publishTicks    = publishPrefix + "ticks"
	publishLetters  = publishPrefix + "dead-letters"
	getDelivery     = getPrefix + "deliveries"
	getEvent        = getPrefix + "events"
	getValve        = getPrefix + "valves"
	finalDelivered  = "delivered"
	finalDead       = "dead"
	finalSkipped    = "skipped"
	streamQuery     = "/google.firestore.v1.Firestore/RunQuery"
	streamBatchGet  = "/google.firestore.v1.Firestore/BatchGetDocuments"
	streamAggregate = "/google.firestore.v1.Firestore/RunAggregationQuery"
)

// writing lists the kinds that write on the path of an event, reading those that read.
func writing() []string {
	return []string{acceptEvent, saveDelivered, saveRetrying, saveDead, saveHeld, saveWaiting, saveChain, addValve, saveValve, removeValve, stampValve,
		batchHeld, batchClaimed, batchFinal, publishEvents, publishFirst, publishSlow, publishTicks, publishLetters}
}

func reading() []string { return []string{getDelivery, getEvent, getValve, query, batchGet, count} }

// kindOf is the kind of a unary call.
func kindOf(request any) string {
	switch r := request.(type) {
	case *firestorepb.CommitRequest:
		return kindOfCommit(r.GetWrites())
	case *firestorepb.BatchWriteRequest:
		return kindOfBatch(r.GetWrites())
	case *pubsubpb.PublishRequest:
		return publishPrefix + last(r.GetTopic())
	case *firestorepb.GetDocumentRequest:
		return getPrefix + collection(r.GetName())
	}
	return otherKind
}

// kindOfStream is the kind of a streaming call.
func kindOfStream(method string) string {
	switch method {
	case streamQuery:
		return query
	case streamBatchGet:
		return batchGet
	case streamAggregate:
		return count
	}
	return otherKind
}

func kindOfCommit(writes []*firestorepb.Write) string {
	if len(writes) == 0 {
		return otherKind
	}
	first := writes[0]
	name := first.GetUpdate().GetName()
	if name == "" {
		name = first.GetDelete()
	}
	switch collection(name) {
	case "events":
		return acceptEvent
	case "valves":
		switch {
		case first.GetDelete() != "":
			return removeValve
		case first.GetUpdateMask() != nil && !slices.Contains(first.GetUpdateMask().GetFieldPaths(), "state"):
			return stampValve
		case first.GetCurrentDocument().GetUpdateTime() == nil:
			return addValve
		}
		return saveValve
	case "deliveries":
		return kindOfDelivery(writes)
	}
	return kindOfConfiguration(writes)
}

// kindOfConfiguration tells a change of the configuration, which has a document in the feed, from what is written there afterwards.
func kindOfConfiguration(writes []*firestorepb.Write) string {
	feed := 0
	for _, w := range writes {
		if collection(w.GetUpdate().GetName()) == "changes" {
			feed++
		}
	}
	switch feed {
	case 0:
		return otherKind
	case len(writes):
		return markEvent
	}
	return configure
}

func kindOfDelivery(writes []*firestorepb.Write) string {
	d := first(writes)
	switch {
	case len(writes) > 1:
		return saveChain
	case d.state == finalDelivered:
		return saveDelivered
	case d.state == finalDead || d.state == finalSkipped:
		return saveDead
	case d.held():
		return saveHeld
	case d.state == "retrying":
		return saveRetrying
	}
	return saveWaiting
}

func kindOfBatch(writes []*firestorepb.Write) string {
	if len(writes) == 0 {
		return otherKind
	}
	switch d := first(writes); {
	case d.final():
		return batchFinal
	case d.held():
		return batchHeld
	}
	return batchClaimed
}

func first(writes []*firestorepb.Write) document { return decode(writes[0].GetUpdate()) }

// collection is that of a document's name.
func collection(name string) string {
	parts := strings.Split(name, "/")
	if len(parts) < 2 {
		return ""
	}
	return parts[len(parts)-2]
}

func last(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

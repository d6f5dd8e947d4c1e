package main

import (
	"crypto/rand"
	"strings"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// kept is how long what was written past Callout stays, where nobody throws the data away.
const kept = 24 * time.Hour

// eventDocument is one like those of the ledger (its package says what they hold), with a payload of about so many bytes.
func eventDocument(database, instance string, size int, now time.Time) *firestorepb.Document {
	id := newKey()
	return &firestorepb.Document{Name: documentName(database, instance, "events", id), Fields: map[string]*firestorepb.Value{
		"id":        text(id),
		"source":    text("/bench"),
		"type":      text("bench.filled"),
		"payload":   {ValueType: &firestorepb.Value_BytesValue{BytesValue: body(id, size)}},
		"message":   text("1234567"),
		"execution": text("event/bench.filled"),
		"targets":   list(text(id)),
		"created":   moment(now),
		"expireAt":  moment(now.Add(kept)),
	}}
}

// deliveryDocument is one that was delivered with the first attempt: no lane and no due, all fields that indexes hold.
func deliveryDocument(database, instance, target string, created time.Time) *firestorepb.Document {
	attempt := map[string]*firestorepb.Value{
		"n": number(1), "start": moment(created.Add(2 * time.Millisecond)), "tookMicros": number(700), "status": number(200), "outcome": text("success"),
	}
	return &firestorepb.Document{Name: documentName(database, instance, "deliveries", newKey()), Fields: map[string]*firestorepb.Value{
		"event":    text(newKey()),
		"target":   text(target),
		"type":     text("bench.filled"),
		"state":    text("delivered"),
		"attempts": list(&firestorepb.Value{ValueType: &firestorepb.Value_MapValue{MapValue: &firestorepb.MapValue{Fields: attempt}}}),
		"shard":    number(0),
		"created":  moment(created),
		"changed":  moment(created.Add(3 * time.Millisecond)),
		"expireAt": moment(created.Add(2 * kept)),
	}}
}

// body is what a target receives, about as Callout writes it.
func body(id string, size int) []byte {
	return []byte(`{"aggregateID":"a1","aggregateType":"","resourceOwner":"","instanceID":"default","version":"v1","sequence":0,"event_type":"bench.filled","id":"` +
		id + `","created_at":"2026-01-02T03:04:05.678901Z","userID":"","event_payload":` + payload(size) + `}`)
}

// newKey looks like the ledger's: 26 characters, never sequential.
func newKey() string { return strings.ToLower(rand.Text()) }

func documentName(database, instance, collection, id string) string {
	return database + "/documents/instances/" + instance + "/" + collection + "/" + id
}

func update(document *firestorepb.Document) *firestorepb.Write {
	return &firestorepb.Write{Operation: &firestorepb.Write_Update{Update: document}}
}

func text(v string) *firestorepb.Value {
	return &firestorepb.Value{ValueType: &firestorepb.Value_StringValue{StringValue: v}}
}

func number(v int64) *firestorepb.Value {
	return &firestorepb.Value{ValueType: &firestorepb.Value_IntegerValue{IntegerValue: v}}
}

func moment(v time.Time) *firestorepb.Value {
	return &firestorepb.Value{ValueType: &firestorepb.Value_TimestampValue{TimestampValue: timestamppb.New(v)}}
}

func list(v ...*firestorepb.Value) *firestorepb.Value {
	return &firestorepb.Value{ValueType: &firestorepb.Value_ArrayValue{ArrayValue: &firestorepb.ArrayValue{Values: v}}}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	firestore "cloud.google.com/go/firestore/apiv1"
	"cloud.google.com/go/firestore/apiv1/firestorepb"
	pubsub "cloud.google.com/go/pubsub/v2/apiv1"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// ground is the Firestore and the Pub/Sub of an installation, reached through their ports with the official low-level clients.
type ground struct {
	database      string // projects/{p}/databases/{d}
	topic         string // of its own, with a subscription that keeps what is published
	subscription  string
	documents     *firestore.Client
	topics        *pubsub.TopicAdminClient
	subscriptions *pubsub.SubscriptionAdminClient
	conns         []*grpc.ClientConn
}

// openGround connects, and makes the topic. Close removes it.
func openGround(ctx context.Context, i ports) (*ground, error) {
	project, name := "projects/"+i.Project, fmt.Sprintf("bench-%d", time.Now().UnixNano())
	g := &ground{database: project + "/databases/(default)"}
	if err := g.open(ctx, i); err != nil {
		return nil, errors.Join(err, g.close(ctx))
	}
	topic, err := g.topics.CreateTopic(ctx, &pubsubpb.Topic{Name: project + "/topics/" + name})
	if err != nil {
		return nil, errors.Join(err, g.close(ctx))
	}
	g.topic = topic.GetName()
	subscription, err := g.subscriptions.CreateSubscription(ctx, &pubsubpb.Subscription{Name: project + "/subscriptions/" + name, Topic: g.topic})
	if err != nil {
		return nil, errors.Join(err, g.close(ctx))
	}
	g.subscription = subscription.GetName()
	return g, nil
}

func (g *ground) open(ctx context.Context, i ports) error {
	documents, err := g.connect(i.Firestore)
	if err != nil {
		return err
	}
	messages, err := g.connect(i.PubSub)
	if err != nil {
		return err
	}
	if g.documents, err = firestore.NewClient(ctx, documents...); err != nil {
		return err
	}
	if g.topics, err = pubsub.NewTopicAdminClient(ctx, messages...); err != nil {
		return err
	}
	g.subscriptions, err = pubsub.NewSubscriptionAdminClient(ctx, messages...)
	return err
}

func (g *ground) connect(address string) ([]option.ClientOption, error) {
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	g.conns = append(g.conns, conn)
	return []option.ClientOption{option.WithGRPCConn(conn), option.WithoutAuthentication(), option.WithTelemetryDisabled()}, nil
}

func (g *ground) publish(ctx context.Context, data []byte) error {
	_, err := g.topics.Publish(ctx, &pubsubpb.PublishRequest{Topic: g.topic, Messages: []*pubsubpb.PubsubMessage{{Data: data}}})
	return err
}

func (g *ground) commit(ctx context.Context, document *firestorepb.Document) error {
	_, err := g.documents.Commit(ctx, &firestorepb.CommitRequest{Database: g.database, Writes: []*firestorepb.Write{update(document)}})
	return err
}

func (g *ground) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	var problems []error
	if g.subscription != "" {
		problems = append(problems, g.subscriptions.DeleteSubscription(ctx, &pubsubpb.DeleteSubscriptionRequest{Subscription: g.subscription}))
	}
	if g.topic != "" {
		problems = append(problems, g.topics.DeleteTopic(ctx, &pubsubpb.DeleteTopicRequest{Topic: g.topic}))
	}
	for _, conn := range g.conns {
		problems = append(problems, conn.Close())
	}
	return errors.Join(problems...)
}

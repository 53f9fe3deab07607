/* Eclipse Paho's C client: mqtt_peer URL KEY VERSION. Subscribes, publishes one message of each QoS, prints what comes. */
#include <MQTTClient.h>
#include <stdio.h>
#include <stdlib.h>

static void check(int rc, const char *what)
{
    if (rc == MQTTCLIENT_SUCCESS)
        return;
    printf("error %s %d\n", what, rc);
    exit(1);
}

static void connect_to(MQTTClient client, const char *key, int version)
{
    MQTTClient_connectOptions three = MQTTClient_connectOptions_initializer;
    MQTTClient_connectOptions five = MQTTClient_connectOptions_initializer5_ws;
    MQTTResponse response;

    if (version == 5) {
        five.username = "any";
        five.password = key;
        response = MQTTClient_connect5(client, &five, NULL, NULL);
        check((int)response.reasonCode, "connect");
        MQTTResponse_free(response);
        return;
    }
    three.MQTTVersion = MQTTVERSION_3_1_1;
    three.username = "any";
    three.password = key;
    check(MQTTClient_connect(client, &three), "connect");
}

static void exchange(MQTTClient client, int version)
{
    MQTTClient_message out = MQTTClient_message_initializer, *in;
    MQTTResponse response;
    char *topic;
    int len;

    if (version == 5) {
        response = MQTTClient_subscribe5(client, "c/#", 2, NULL, NULL);
        check(response.reasonCode == 2 ? 0 : -1, "subscribe");
        MQTTResponse_free(response);
    } else {
        check(MQTTClient_subscribe(client, "c/#", 2), "subscribe");
    }
    out.payload = "hello";
    out.payloadlen = 5;
    for (int qos = 0; qos < 3; qos++) {
        MQTTClient_deliveryToken token;

        out.qos = qos;
        if (version == 5) {
            response = MQTTClient_publishMessage5(client, "c/1", &out, &token);
            check((int)response.reasonCode, "publish");
            MQTTResponse_free(response);
        } else {
            check(MQTTClient_publishMessage(client, "c/1", &out, &token), "publish");
        }
        check(MQTTClient_receive(client, &topic, &len, &in, 20000), "receive");
        if (!in) {
            printf("error nothing came\n");
            exit(1);
        }
        printf("%s %.*s %d\n", topic, in->payloadlen, (char *)in->payload, in->qos);
        MQTTClient_freeMessage(&in);
        MQTTClient_free(topic);
    }
}

int main(int argc, char **argv)
{
    MQTTClient_createOptions create = MQTTClient_createOptions_initializer;
    MQTTClient client;
    int version;

    if (argc != 4)
        return 2;
    version = atoi(argv[3]);
    create.MQTTVersion = version == 5 ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
    check(
        MQTTClient_createWithOptions(&client, argv[1], "paho-c", MQTTCLIENT_PERSISTENCE_NONE, NULL, &create),
        "create");
    connect_to(client, argv[2], version);
    exchange(client, version);
    if (version == 5)
        check(MQTTClient_disconnect5(client, 1000, MQTTREASONCODE_SUCCESS, NULL), "disconnect");
    else
        check(MQTTClient_disconnect(client, 1000), "disconnect");
    MQTTClient_destroy(&client);
    printf("done\n");
    return 0;
}

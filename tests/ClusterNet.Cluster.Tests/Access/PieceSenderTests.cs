using Akka.Actor;
using Akka.TestKit.Xunit2;
using ClusterNet.Cluster.Access;
using ClusterNet.Cluster.Serialization;
using ClusterNet.Cluster.Serving;
using ClusterNet.Core.Jobs;
using ClusterNet.Data;

namespace ClusterNet.Cluster.Tests.Access;

/// <summary>A request that is too large for any way is refused in words that say what to do.</summary>
public sealed class PieceSenderTests() : TestKit(SerializationConfiguration.Config)
{
    [Fact]
    public async Task Samples_that_are_too_many_for_one_request_are_to_be_given_in_parts()
    {
        var samples = new RawSamples.Array([1], new float[WireMessage.MaxBytes / sizeof(float)], []);
        Sys.ActorOf(PieceSenderActor.PropsFor((_, _) => Assert.Fail("nothing of it is sent"))).Tell(new ServingProtocol.Queries.Evaluate(new ModelVersionId("m", 1), samples), TestActor);
        var failure = await ExpectMsgAsync<Status.Failure>(TimeSpan.FromSeconds(30));
        Assert.StartsWith("the samples are more than a cluster is asked at once, 64 MB in all: give them in parts", Assert.IsType<ClusterException>(failure.Cause).Message, StringComparison.Ordinal);
    }
}

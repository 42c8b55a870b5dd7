using Akka.Actor;
using Akka.Persistence;
using Akka.TestKit.Xunit2;
using ClusterNet.Cluster.Models;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;

namespace ClusterNet.Cluster.Tests.Models;

/// <summary>A part of a version's weights comes back as it was saved, or with the reason why not; never silently wrong, never without an answer.</summary>
public sealed class WeightsPartActorTests : TestKit
{
    private static readonly ModelVersionId Version = new("tumor-a", 3);
    private static readonly ShardRange Range = new(16, 3);

    public WeightsPartActorTests()
        : base(TestStore.Config)
    {
    }

    private TestStore Store => TestStore.Of(Sys);

    [Fact]
    public async Task A_part_comes_back_bit_by_bit()
    {
        await Save(1.5f, -0f, float.Epsilon);
        var loaded = await Load<WeightsProtocol.Loaded>();
        Assert.Equal(new[] { 1.5f, -0f, float.Epsilon }.Select(BitConverter.SingleToInt32Bits), loaded.Values.Span.ToArray().Select(BitConverter.SingleToInt32Bits));
        Assert.Equal((Version, Range), (loaded.Version, loaded.Range));
        loaded.Values.Release();
    }

    [Fact]
    public async Task A_part_saved_again_overwrites_itself()
    {
        await Save(1, 2, 3);
        await Save(4, 5, 6);
        var loaded = await Load<WeightsProtocol.Loaded>();
        Assert.Equal([4f, 5f, 6f], loaded.Values.Span.ToArray());
    }

    [Fact]
    public async Task A_part_that_was_never_saved_is_said_to_be_missing()
    {
        var failed = await Load<WeightsProtocol.LoadFailed>();
        Assert.Equal("could not load elements 16 to 18 of the weights of tumor-a:3: it is not in the store", failed.Reason);
    }

    [Fact]
    public async Task A_damaged_part_is_refused()
    {
        await Put(new WeightsPart(Version, Range, Samples.Payload(1, 2, 3), WeightsDigest.Sha256([1, 2, 4])));
        Assert.Contains("checksum", (await Load<WeightsProtocol.LoadFailed>()).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_part_of_other_weights_is_refused()
    {
        await Put(new WeightsPart(Version with { Version = 4 }, Range, Samples.Payload(1, 2, 3), WeightsDigest.Sha256([1, 2, 3])));
        Assert.Contains("of tumor-a:4 in its place", (await Load<WeightsProtocol.LoadFailed>()).Reason, StringComparison.Ordinal);
        await Put(new ModelProtocol.Events.WeightsDeleted(Version));
        Assert.Contains("a WeightsDeleted in its place", (await Load<WeightsProtocol.LoadFailed>()).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_deleted_part_is_gone_and_deleting_it_again_is_no_fault()
    {
        await Save(1, 2, 3);
        await Tell<WeightsProtocol.Deleted>(WeightsPartActor.PropsForDelete(Version, Range));
        await Tell<WeightsProtocol.Deleted>(WeightsPartActor.PropsForDelete(Version, Range));
        await Load<WeightsProtocol.LoadFailed>();
    }

    [Fact]
    public async Task A_store_that_fails_is_reported_with_its_reason()
    {
        Store.FailSnapshots = "weights-tumor-a-3-16";
        Assert.EndsWith("the disk is full", (await Tell<WeightsProtocol.SaveFailed>(PropsForSave(1, 2, 3))).Reason, StringComparison.Ordinal);
        Assert.EndsWith("the disk is full", (await Load<WeightsProtocol.LoadFailed>()).Reason, StringComparison.Ordinal);
        Assert.EndsWith("the disk is full", (await Tell<WeightsProtocol.DeleteFailed>(WeightsPartActor.PropsForDelete(Version, Range))).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_store_that_says_nothing_is_given_up_on()
    {
        Store.IsSilent = true;
        var patience = TimeSpan.FromMilliseconds(100);
        Assert.EndsWith("did not answer within 0.1 seconds", (await Tell<WeightsProtocol.SaveFailed>(PropsForSave(patience, 1, 2, 3))).Reason, StringComparison.Ordinal);
        await Tell<WeightsProtocol.LoadFailed>(WeightsPartActor.PropsForLoad(Version, Range, patience));
        await Tell<WeightsProtocol.DeleteFailed>(WeightsPartActor.PropsForDelete(Version, Range, patience));
    }

    [Fact]
    public void Values_that_do_not_fit_the_range_are_the_callers_mistake() =>
        Assert.Throws<ArgumentException>(() => PropsForSave(1, 2));

    [Theory]
    [InlineData(0, 1)]
    [InlineData(5, WeightsProtocol.MaxPartLength)]
    [InlineData(1024, WeightsProtocol.MaxPartLength + 1)]
    [InlineData(7, 3 * WeightsProtocol.MaxPartLength - 1)]
    public void A_run_is_cut_into_parts_without_gaps(int offset, int length)
    {
        var parts = WeightsProtocol.Split(new ShardRange(offset, length));
        Assert.Equal(offset, parts[0].Offset);
        Assert.Equal(offset + length, parts[^1].End);
        Assert.All(parts, part => Assert.InRange(part.Length, 1, WeightsProtocol.MaxPartLength));
        Assert.All(parts.Zip(parts.Skip(1)), pair => Assert.Equal(pair.Item1.End, pair.Item2.Offset));
    }

    private static Props PropsForSave(params float[] values) => PropsForSave(null, values);

    private static Props PropsForSave(TimeSpan? patience, params float[] values) =>
        WeightsPartActor.PropsForSave(Version, Range, Samples.Payload(values), patience);

    private Task<WeightsProtocol.Saved> Save(params float[] values) => Tell<WeightsProtocol.Saved>(PropsForSave(values));

    private Task<T> Load<T>() => Tell<T>(WeightsPartActor.PropsForLoad(Version, Range));

    private async Task<T> Tell<T>(Props part)
    {
        var probe = CreateTestProbe();
        var child = probe.ChildActorOf(part);
        await probe.WatchAsync(child);
        var answer = await probe.ExpectMsgAsync<T>();
        await probe.ExpectTerminatedAsync(child);
        return answer;
    }

    private async Task Put(object snapshot)
    {
        var store = Persistence.Instance.Apply(Sys).SnapshotStoreFor(string.Empty);
        store.Tell(new SaveSnapshot(new SnapshotMetadata(WeightsPart.PersistenceIdOf(Version, Range.Offset), 0, DateTime.UtcNow), snapshot), TestActor);
        await ExpectMsgAsync<SaveSnapshotSuccess>();
    }
}

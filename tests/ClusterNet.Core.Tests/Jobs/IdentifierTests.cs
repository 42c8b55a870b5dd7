using ClusterNet.Core.Jobs;
using CsCheck;

namespace ClusterNet.Core.Tests.Jobs;

/// <summary>The promise that ids can stand in persistence ids and file names as they are.</summary>
public sealed class IdentifierTests
{
    [Fact]
    public void A_job_id_is_valid_exactly_if_it_can_be_made() => Gen.String[Gen.Char["abzAZ09._-/ \u00e9\n"], 0, 8].Sample(text =>
    {
        var expected = text.Length > 0 && text[0] is not ('.' or '_' or '-') && text.All("abzAZ09._-".Contains);
        Assert.Equal(expected, JobId.IsValid(text));
        if (expected)
            Assert.Equal(text, new JobId(text).ToString());
        else
            Assert.Throws<FormatException>(() => new JobId(text));
    });

    [Fact]
    public void Its_length_is_bounded()
    {
        Assert.True(JobId.IsValid(new string('a', JobId.MaxLength)));
        Assert.False(JobId.IsValid(new string('a', JobId.MaxLength + 1)));
        Assert.False(JobId.IsValid(null));
    }

    [Fact]
    public void Shards_versions_and_generations_read_as_they_are_named()
    {
        Assert.Equal("wdbc-1/2", new ShardId(new JobId("wdbc-1"), 2).ToString());
        Assert.Equal("wdbc:3", new ModelVersionId("wdbc", 3).ToString());
        Assert.Equal("g1", Generation.None.Next.ToString());
        Assert.True(Generation.None < Generation.None.Next && Generation.None.Next >= Generation.None);
    }
}

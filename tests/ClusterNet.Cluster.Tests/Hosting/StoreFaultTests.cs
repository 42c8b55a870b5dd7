using System.Data.Common;
using ClusterNet.Cluster.Hosting;
using Npgsql;

namespace ClusterNet.Cluster.Tests.Hosting;

/// <summary>What the log says of a store is what the database said.</summary>
public sealed class StoreFaultTests
{
    [Fact]
    public void What_libraries_wrap_it_in_is_left_out()
    {
        var said = new DatabaseFault("53100: could not extend file: No space left on device", null);
        Assert.Equal(said.Message, StoreFault.ReasonOf(said));
        Assert.Equal(said.Message, StoreFault.ReasonOf(new AggregateException(new AggregateException("when rolling back", said, new InvalidOperationException("and then")))));
        Assert.Equal(said.Message, StoreFault.ReasonOf(new InvalidOperationException("the journal", new AggregateException(said))));
    }

    [Fact]
    public void What_a_connection_failed_of_is_said_too()
    {
        Assert.Equal("could not connect: refused", StoreFault.ReasonOf(new AggregateException(new DatabaseFault("could not connect", new IOException("refused")))));
        Assert.Equal("could not connect: refused", StoreFault.ReasonOf(new DatabaseFault("could not connect: refused", new IOException("refused"))));
    }

    [Fact]
    public void Who_runs_out_of_connections_is_told_what_to_do()
    {
        var full = new PostgresException("sorry, too many clients already", "FATAL", "FATAL", PostgresErrorCodes.TooManyConnections);
        Assert.Contains("Maximum Pool Size", StoreFault.ReasonOf(new InvalidOperationException("the journal", new AggregateException(full))), StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_no_fault_of_a_database_is_as_it_is()
    {
        Assert.Equal("circuit breaker is open", StoreFault.ReasonOf(new TimeoutException("circuit breaker is open", new InvalidOperationException("within"))));
        Assert.Equal("first", StoreFault.ReasonOf(new AggregateException(new TimeoutException("first"))));
    }

    private sealed class DatabaseFault(string message, Exception? inner) : DbException(message, inner);
}

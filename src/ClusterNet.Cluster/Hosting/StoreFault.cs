using System.Data.Common;
using Npgsql;

namespace ClusterNet.Cluster.Hosting;

/// <summary>Why a store did not do what it was asked.</summary>
internal static class StoreFault
{
    /// <summary>What the database itself says, without what Akka.Persistence, linq2db and tasks wrap it in.</summary>
    public static string ReasonOf(Exception failure)
    {
        for (var cause = failure; cause is not null; cause = cause is AggregateException { InnerExceptions: [var first, ..] } ? first : cause.InnerException)
        {
            if (cause is PostgresException { SqlState: PostgresErrorCodes.TooManyConnections })
                return $"{cause.Message}; raise the server's max_connections, or have each node hold fewer (Maximum Pool Size=... in the connection string)";
            if (cause is DbException { InnerException: { } why } && !cause.Message.Contains(why.Message, StringComparison.Ordinal))
                return $"{cause.Message}: {why.Message}";
            if (cause is DbException)
                return cause.Message;
        }
        return failure is AggregateException { InnerExceptions: [var only] } ? only.Message : failure.Message;
    }
}

namespace ClusterNet.Gateway.Inference;

/// <summary>
/// Metadata of every endpoint of the inference protocol, REST and gRPC: what a caller must be allowed to. The host's authorization looks at it (<c>endpoint.Metadata.GetMetadata&lt;RequiredScopeAttribute&gt;()</c>);
/// the endpoints themselves ask nobody.
/// </summary>
/// <param name="scope">one of the constants here; null for anyone, which liveness and readiness are for</param>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Method)]
public sealed class RequiredScopeAttribute(string? scope) : Attribute
{
    /// <summary>Ask for predictions and for what models are like.</summary>
    public const string Predict = "predict";

    /// <summary>Load and unload models.</summary>
    public const string Operate = "operate";

    /// <summary>What a caller must be allowed to; null for anyone.</summary>
    public string? Scope { get; } = scope;
}

using System.Security.Claims;
using ClusterNet.Gateway.Inference;

namespace ClusterNet.Gateway.Access;

/// <summary>What a caller may do. No scope contains another one: who needs several is given several.</summary>
public static class Scopes
{
    /// <summary>Ask for predictions and for what models are like.</summary>
    public const string Predict = RequiredScopeAttribute.Predict;

    /// <summary>See the cluster, and run what goes on in it: jobs, labels, traffic, loading.</summary>
    public const string Operate = RequiredScopeAttribute.Operate;

    /// <summary>Delete models, give and revoke keys, see the audit log's heads.</summary>
    public const string Admin = "admin";

    /// <summary>All of them.</summary>
    public static IReadOnlyList<string> All { get; } = [Predict, Operate, Admin];

    /// <summary>The claim that says so.</summary>
    internal const string Claim = "clusternet.scope";

    /// <summary>What a request without any credentials is called, where these are not asked for.</summary>
    internal const string Anonymous = "anonymous";

    /// <summary>A caller.</summary>
    /// <param name="scheme">how it was recognised</param>
    /// <param name="name">what the audit log and the rate limits know it by</param>
    /// <param name="scopes">what it may do</param>
    internal static ClaimsPrincipal Caller(string scheme, string name, IEnumerable<string> scopes) =>
        new(new ClaimsIdentity([new Claim(ClaimTypes.Name, name), .. scopes.Select(scope => new Claim(Claim, scope))], scheme));

    /// <summary>Whether a caller may do it.</summary>
    internal static bool Has(ClaimsPrincipal caller, string scope) => caller.HasClaim(Claim, scope);

    /// <summary>What a caller is known by.</summary>
    internal static string NameOf(ClaimsPrincipal caller) => caller.Identity is { IsAuthenticated: true, Name: { } name } ? name : Anonymous;
}

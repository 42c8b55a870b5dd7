namespace ClusterNet.EndToEnd.Tests;

/// <summary>Finds the repository that the tests were built from, and the program in it.</summary>
internal static class Repository
{
    public static string Root { get; } = Find();

    /// <summary>Of the same configuration as the tests.</summary>
    public static string Program { get; } = Path.Combine(
        Root, "src", "ClusterNet.Node", "bin", new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name, "net10.0", "clusternet.dll");

    /// <summary>The program that the README shows.</summary>
    public static string ClientSample { get; } = Path.Combine(
        Root, "tests", "ClusterNet.Client.Sample", "bin", new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name, "net10.0", "ClusterNet.Client.Sample.dll");

    public static string Job(string name) => Path.Combine(Root, "config", "jobs", name);

    public static string Wdbc => Path.Combine(Root, "src", "ClusterNet.Data", "Builtin", "wdbc.csv");

    public static string Digits => Path.Combine(Root, "src", "ClusterNet.Data", "Builtin", "digits.csv.gz");

    private static string Find()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "ClusterNet.sln")))
                return folder.FullName;
        }
        throw new DirectoryNotFoundException("no ClusterNet.sln above the tests");
    }
}

using ClusterNet.Learning.Models;
using Mono.Cecil;
using TorchSharp;

namespace ClusterNet.Learning.Tests;

/// <summary>
/// TorchSharp makes a <see cref="Scalar"/> of a number in an operation and may let it go before libtorch has read it. Nothing here may leave that to it: neither a conversion that nobody holds, nor an operation of
/// TorchSharp that makes one inside, nor a module of TorchSharp whose computation does.
/// </summary>
public class HeldNumbersTests
{
    private const string Conversion = "TorchSharp.Scalar TorchSharp.Scalar::op_Implicit(";
    private const string Making = "TorchSharp.Scalar TorchSharp.ScalarExtensionMethods::ToScalar(";

    private static readonly Lazy<IReadOnlySet<string>> _careless = new(FindCareless);

    [Fact]
    public void No_number_is_let_go_while_libtorch_may_read_it() => Assert.Empty(CallsOf(typeof(ModelCatalog).Assembly.Location).SelectMany(FaultsOf));

    [Fact]
    public void It_would_be_found()
    {
        var found = CallsOf(typeof(HeldNumbersTests).Assembly.Location).Where(call => call.Caller.DeclaringType.Name == nameof(Careless)).SelectMany(FaultsOf).ToArray();
        Assert.Contains(found, fault => fault.StartsWith(nameof(Careless.Converts), StringComparison.Ordinal));
        Assert.Contains(found, fault => fault.StartsWith(nameof(Careless.Adds), StringComparison.Ordinal));
        Assert.Contains(found, fault => fault.StartsWith(nameof(Careless.Builds), StringComparison.Ordinal));
        Assert.DoesNotContain(found, fault => fault.StartsWith(nameof(Careless.Holds), StringComparison.Ordinal));
    }

    /// <summary>Methods of TorchSharp that make a number, or call one that does.</summary>
    private static HashSet<string> FindCareless()
    {
        using var torch = AssemblyDefinition.ReadAssembly(typeof(torch).Assembly.Location);
        var calls = All(torch.MainModule.Types).Where(type => type.FullName is not ("TorchSharp.Scalar" or "TorchSharp.ScalarExtensionMethods"))
            .SelectMany(type => type.Methods)
            .Where(method => method.HasBody)
            .ToDictionary(method => method.FullName, method => Called(method).Select(NameOf).ToHashSet());
        var careless = calls.Where(method => method.Value.Any(IsMaking)).Select(method => method.Key).ToHashSet();
        for (var known = 0; known < careless.Count;)
        {
            known = careless.Count;
            careless.UnionWith(calls.Where(method => method.Value.Overlaps(careless)).Select(method => method.Key));
        }
        return careless;
    }

    private static bool IsMaking(string method) => method.StartsWith(Conversion, StringComparison.Ordinal) || method.StartsWith(Making, StringComparison.Ordinal);

    private static IEnumerable<string> FaultsOf((MethodDefinition Caller, MethodReference Called) call)
    {
        var name = NameOf(call.Called);
        if (name.StartsWith(Conversion, StringComparison.Ordinal) || _careless.Value.Contains(name))
            yield return $"{call.Caller.Name} of {call.Caller.DeclaringType.FullName} calls {name}";
        // what it makes computes later
        for (var type = IsTorch(call.Called.ReturnType) ? call.Called.ReturnType.Resolve() : null; type is not null && IsTorch(type); type = type.BaseType?.Resolve())
        {
            foreach (var forward in type.Methods.Where(method => method.Name == "forward" && _careless.Value.Contains(method.FullName)))
                yield return $"{call.Caller.Name} of {call.Caller.DeclaringType.FullName} makes a module with {forward.FullName}";
        }
    }

    private static bool IsTorch(TypeReference type) => type.FullName.StartsWith("TorchSharp.", StringComparison.Ordinal) && !type.IsGenericParameter;

    private static IReadOnlyList<(MethodDefinition Caller, MethodReference Called)> CallsOf(string assembly) =>
    [
        .. All(AssemblyDefinition.ReadAssembly(assembly).MainModule.Types).SelectMany(type => type.Methods).Where(method => method.HasBody)
            .SelectMany(method => Called(method).Select(called => (method, called))),
    ];

    private static IEnumerable<MethodReference> Called(MethodDefinition method) => method.Body.Instructions.Select(instruction => instruction.Operand).OfType<MethodReference>();

    private static string NameOf(MethodReference method) => method.GetElementMethod().FullName;

    private static IEnumerable<TypeDefinition> All(IEnumerable<TypeDefinition> types) => types.SelectMany(type => All(type.NestedTypes).Prepend(type));

    /// <summary>What must be found. Never called.</summary>
    private static class Careless
    {
        public static torch.Tensor Converts(torch.Tensor x) => x.div_(0.9);

        public static torch.Tensor Adds(torch.Tensor x) => x.add(x);

        public static torch.nn.Module<torch.Tensor, torch.Tensor> Builds() => torch.nn.Threshold(0, 1);

        public static torch.Tensor Holds(torch.Tensor x)
        {
            using var half = 0.5.ToScalar();
            return x.mul(half);
        }
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice Static factors of electricity. PEF in 1/1000 (kWh_PE per kWh), GHG in g CO2e per kWh.
struct StaticFactors {
    uint16 importTotal;
    uint16 importNonRenewable;
    uint16 importGhg;
    uint16 exportTotal;
    uint16 exportNonRenewable;
    uint16 exportGhg;
}

/// @notice Factors of a carrier (1 gas, 2 heat, 3 cooling, 4 biomass, 5 oil, 6 hydrogen, 7 waste, 8 other), for what is
/// bought in and what is delivered out. PEF in 1/1000 (kWh_PE per kWh), GHG in g CO2e per kWh.
struct CarrierFactor {
    uint8 carrier;
    uint16 boughtTotal;
    uint16 boughtNonRenewable;
    uint16 boughtGhg;
    uint16 exportTotal;
    uint16 exportNonRenewable;
    uint16 exportGhg;
}

/// @notice What is known of a day's factors. Published and Lacking are final: they never change again.
enum Resolution {
    Pending,
    Published,
    Lacking
}

/// @param parent vintage that days lacking here fall back to; zero for none
/// @param publisherOrg organisation that may publish days
/// @param createdAt unix seconds
/// @param fMin least PEF of electricity in it and in its parents, 1/1000
/// @param fMax greatest PEF in it and in its parents, 1/1000
/// @param gMax greatest GHG factor in it and in its parents, g CO2e per kWh
/// @param depth number of its ancestors
struct Vintage {
    bytes32 parent;
    bytes32 publisherOrg;
    uint40 createdAt;
    uint16 fMin;
    uint16 fMax;
    uint16 gMax;
    uint8 depth;
}
